/**
 * `node:http` without looking at each of its exports, as an import does: one of them is a WebSocket client, which would take
 * 16 MiB and which nobody here uses.
 */
export const { createServer, request, STATUS_CODES } = process.getBuiltinModule('node:http')
