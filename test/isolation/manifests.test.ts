// Cases 85 and 86, I1 and I6: manifests and trees that are pushed, tagged, deleted and collected at the same time.
import { image, index, otherImage, referrer, secondIndex } from './content.ts'
import {
  A,
  collectorOf,
  deleteDigest,
  deleteLayer,
  eagerCollector,
  head,
  linkCollector,
  manifestCollector,
  mount,
  push,
  retag,
  tagForgetter,
  untag,
  upload,
} from './operations.ts'
import { playPairs } from './pairs.ts'
import { tree, untagged, uploaded } from './states.ts'

playPairs('an image that nothing names and whose lease has run out', {
  state: untagged,
  operations: (arena) => ({
    'push of it by tag': push(image, 'v1'),
    'push of it by digest': push(image),
    'push of an index over it': push(index),
    'retag to it': retag(image, 'v1'),
    'delete of the tag': untag('v1'),
    'delete of its digest': deleteDigest(image),
    'delete of the tagged digest': deleteDigest(otherImage),
    'delete of its layer': deleteLayer,
    'mount of its layer': mount,
    'upload of its layer': upload(arena, A, 'aa'),
    'HEAD of its layer': head,
    'collection of manifests': manifestCollector,
    'collection of links': linkCollector,
    'forgetting of past tags': tagForgetter,
  }),
})

playPairs('an image that nothing names, beside a collector without grace and quarantine', {
  state: untagged,
  operations: () => ({
    'push of it by tag': push(image, 'v1'),
    'push of an index over it': push(index),
    'retag to it': retag(image, 'v1'),
    'mount of its layer': mount,
    'HEAD of its layer': head,
  }),
  beside: (arena) => ({ 'a whole collection': eagerCollector(arena) }),
})

playPairs('an index, its child and a referrer of it, none of them named', {
  state: tree,
  operations: () => ({
    'push of the child': push(image, 'v1'),
    'push of the index': push(index, 'v1'),
    'push of a second index': push(secondIndex),
    'push of the referrer': push(referrer),
    'delete of the index': deleteDigest(index),
    'delete of the child': deleteDigest(image),
    'collection of all': manifestCollector,
    'collection of the index': collectorOf(index),
    'collection of the child': collectorOf(image),
    'collection of the referrer': collectorOf(referrer),
  }),
  // Two collectors that took overlapping work: one of them runs again.
  mayDeadlock: ['collection of all + collection of the index'],
})

playPairs('a sparse index and its child', {
  state: uploaded,
  operations: () => ({
    'push of the index': push(index, 'v2', { sparse: true }),
    'push of the child by digest': push(image, undefined, { sparse: true }),
    'push of the child by tag': push(image, 'v1', { sparse: true }),
  }),
})
