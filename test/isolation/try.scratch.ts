import { Arena } from '/work/main/test/isolation/arena.ts'
import { findAnomalies } from '/work/main/test/isolation/interleaver.ts'
import * as ops from '/work/main/test/isolation/operations.ts'
import * as st from '/work/main/test/isolation/states.ts'
import { NOW, image, index, otherImage, referrer, secondIndex } from '/work/main/test/isolation/content.ts'
const arena = await Arena.open()
const t0 = performance.now()

const groups: [string, any, any][] = [
 ['condemned', st.condemned, { upA: ops.upload(arena, ops.A,'aa'), upB: ops.upload(arena, ops.B,'bb'), blobs: ops.blobCollector(arena) }],
 ['expiring', st.expiring, { pushSame: ops.push(image,'v1'), pushOther: ops.push(otherImage,'v1'), untag: ops.untag('v1'), expire: ops.expireTags(NOW+5), forget: ops.tagForgetter, delOther: ops.deleteDigest(otherImage), del: ops.deleteDigest(image), seq: ops.inTurn(ops.push(otherImage,'v1'), ops.deleteDigest(image))}],
 ['past', st.past, {forget: ops.tagForgetter, collect: ops.collectorOf(otherImage, NOW), collectL: ops.collectorOf(otherImage, NOW+5), push: ops.push(otherImage), pushV: ops.push(otherImage,'v1')}],
 ['tree', st.tree, { collect: ops.manifestCollector, colIndex: ops.collectorOf(index), colImage: ops.collectorOf(image), colRef: ops.collectorOf(referrer), pushImage: ops.push(image,'v1'), pushIndex: ops.push(index,'v1'), push2: ops.push(secondIndex, 'v2'), delIndex: ops.deleteDigest(index), delImage: ops.deleteDigest(image), pushRef: ops.push(referrer) }],
 ['sparse', st.uploaded, {pushI: ops.push(index,'v2',{sparse:true}), pushM: ops.push(image,undefined,{sparse:true}), pushMV: ops.push(image,'v1',{sparse:true})}],
 ['untagged', st.untagged, { pushV1: ops.push(image,'v1'), delOther: ops.deleteDigest(otherImage), untag: ops.untag('v1'), pushIndex: ops.push(index,'v2')}],
]
const only = process.argv[3]; for (const [name, state, list] of groups) {
if (only && only !== name) continue
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
