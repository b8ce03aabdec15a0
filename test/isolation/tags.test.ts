// Case 91, M17, I4: tags that are moved, prolonged, deleted, expired and forgotten at the same time.
import { image, NOW, otherImage } from './content.ts'
import { collectorOf, deleteDigest, expireTags, inTurn, push, retag, tagForgetter, untag } from './operations.ts'
import { playPairs } from './pairs.ts'
import { expiring, past } from './states.ts'

playPairs('a tag that is about to expire', {
  state: expiring,
  operations: () => ({
    'push of what it names, without expiry': push(image, 'v1'),
    'push of another image': push(otherImage, 'v1'),
    'retag to another image': retag(otherImage, 'v1'),
    'delete of the tag': untag('v1'),
    'delete of its digest': deleteDigest(image),
    'delete of the other digest': deleteDigest(otherImage),
    'closing of expired tags': expireTags(NOW + 5),
    'forgetting of past tags': tagForgetter,
  }),
})

playPairs('a tag that moves away from a digest that is then deleted', {
  state: expiring,
  operations: () => ({ 'delete of the tag': untag('v1') }),
  // What matters is where between the statements of the first the two others fall.
  grain: ['statement', 'transaction'],
  beside: () => ({ 'retag, then delete of the digest': inTurn(retag(otherImage, 'v1'), deleteDigest(image)) }),
})

playPairs('a manifest whose only interval has ended', {
  state: past,
  operations: () => ({
    'forgetting of past tags': tagForgetter,
    'collection of the manifest': collectorOf(otherImage),
    'collection by a clock that is ahead': collectorOf(otherImage, NOW + 5),
    'push by digest': push(otherImage),
    'push by tag': push(otherImage, 'v1'),
  }),
})
