import type { Connection } from './connection.ts'
import type { RequestsJob, Work } from './job.ts'
import { requestHead } from './push.ts'

/** Turns the list into bytes, so that sending is only a matter of sockets. */
export function prepareRequests(job: RequestsJob): Work {
  const prepared = job.requests.map((request) => {
    const body = Buffer.from(request.body ?? '')
    const type = request.contentType === undefined ? '' : `Content-Type: ${request.contentType}\r\n`
    const length = job.method === 'GET' || job.method === 'HEAD' ? '' : `Content-Length: ${body.length}\r\n`
    const head = requestHead(job.method, request.path, job, type + length)
    return { parts: body.length === 0 ? [head] : [head, body], bodyBytes: body.length, path: request.path }
  })
  const bodiless = job.method === 'HEAD'

  async function send(connection: Connection, index: number): Promise<number> {
    const request = prepared[index % prepared.length]
    if (request === undefined) throw new Error('There is no request to send')
    const response = await connection.send(request.parts, bodiless)
    if (response.status !== job.expectedStatus)
      throw new Error(`${job.method} ${request.path} was answered ${response.status}, not ${job.expectedStatus}`)
    return request.bodyBytes + response.bodyBytes
  }
  return { run: send, count: job.count, digests: [] }
}
