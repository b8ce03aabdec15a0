import { Arena } from '/work/main/test/isolation/arena.ts'
import { findAnomalies } from '/work/main/test/isolation/interleaver.ts'
import * as ops from '/work/main/test/isolation/operations.ts'
import * as st from '/work/main/test/isolation/states.ts'
import { NOW, image, index, otherImage, referrer, secondIndex } from '/work/main/test/isolation/content.ts'
const arena = await Arena.open()
const t0 = performance.now()

const groups: [string, any, any][] = [
 ['condemned', st.condemned, { upA: ops.upload(arena, ops.A,'aa'), upB: ops.upload(arena, ops.B,'bb'), blobs: ops.blobCollector(arena) }],
 ['expiring', st.expiring, { pushSame: ops.push(image,'v1'), pushOther: ops.push(otherImage,'v1'), untag: ops.untag('v1'), expire: ops.expireTags(NOW+5), forget: ops.tagForgetter, delOther: ops.deleteDigest(otherImage), del: ops.deleteDigest(image)}],
 ['tree', st.tree, { collect: ops.manifestCollector, pushImage: ops.push(image,'v1'), pushIndex: ops.push(index,'v1'), push2: ops.push(secondIndex, 'v2'), delIndex: ops.deleteDigest(index), delImage: ops.deleteDigest(image), pushRef: ops.push(referrer) }],
 ['untagged', st.untagged, { collect: ops.manifestCollector, links: ops.linkCollector, pushV1: ops.push(image,'v1'), pushDigest: ops.push(image), pushIndex: ops.push(index,'v2'), untag: ops.untag('v1'), del: ops.deleteDigest(image), delOther: ops.deleteDigest(otherImage), delLayer: ops.deleteLayer, mount: ops.mount, upA: ops.upload(arena, ops.A, 'aa'), head: ops.head, forget: ops.tagForgetter }],
]
for (const [name, state, list] of groups) {
await arena.prepare(state)
const e = Object.entries(list) as any[]
for (let i=0;i<e.length;i++) for (let j=i;j<e.length;j++) {
  const t1=performance.now()
  const r = await findAnomalies(arena,[e[i][1],e[j][1]])
  console.log(name, e[i][0], e[j][0], r.played.ends.length, r.played.redundant, Math.round(performance.now()-t1)+'ms', r.anomalies.length, [...new Set(r.anomalies.map(a=>a.replace(/order \d+: /,'').slice(0,140)))].join(' | '))
}
}
console.log(performance.now()-t0)
await arena.close()
process.exit(0)
