// The one answer that the servers of the poll bench give: what Bellwether says of the channel, byte for byte.
export const POLL_PATH = '/v1/stable/cloud/version'
export const BODY = '15.1.4'

export const HEADERS: Readonly<Record<string, string>> = {
  'Content-Type': 'text/plain; charset=utf-8',
  'X-Content-Type-Options': 'nosniff',
  'Cache-Control': 'public, max-age=10',
  ETag: `"${BODY}"`,
  'Bellwether-Revision': '1',
  'Content-Length': String(BODY.length),
}
