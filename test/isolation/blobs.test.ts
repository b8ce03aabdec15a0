// Cases 85 and 86; C2: blobs that are uploaded, mounted, named and asked for while the collector decides on them.

import { image } from './content.ts'
import {
  A,
  B,
  blobCollector,
  deleteLayer,
  eagerCollector,
  head,
  linkCollector,
  mount,
  push,
  upload,
} from './operations.ts'
import { playPairs } from './pairs.ts'
import { condemned, uploaded } from './states.ts'

playPairs('a layer and a config that nothing names and whose lease has run out', {
  state: uploaded,
  operations: (arena) => ({
    'push of the image': push(image, 'v1'),
    'upload to the same repository': upload(arena, A, 'aa'),
    'upload to another repository': upload(arena, B, 'bb'),
    'mount into another repository': mount,
    'HEAD by a pusher': head,
    'delete of the layer': deleteLayer,
    'collection of links': linkCollector,
  }),
})

playPairs('a layer that nothing names, beside a collector without grace and quarantine', {
  state: uploaded,
  operations: () => ({
    'push of the image': push(image, 'v1'),
    'mount into another repository': mount,
    'HEAD by a pusher': head,
    'delete of the layer': deleteLayer,
  }),
  beside: (arena) => ({ 'a whole collection': eagerCollector(arena) }),
})

playPairs('a layer that was condemned and whose time is up', {
  state: condemned,
  operations: (arena) => ({
    'upload to one repository': upload(arena, A, 'aa'),
    'upload to another repository': upload(arena, B, 'bb'),
    'deletion of blobs': blobCollector(arena),
  }),
})
