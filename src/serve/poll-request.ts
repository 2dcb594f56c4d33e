// Recognises a poll in the bytes of a connection, where there can be no two opinions on what they say. What is not
// recognised here is not wrong: it is for the HTTP server to read. Nothing in here guesses, repairs or decodes.

/** A poll of which every byte is understood. */
export interface PollRequest {
  readonly isHead: boolean
  /** The request target: a path, without a query. */
  readonly target: string
  readonly headers: PollHeaders
  /** Where the next request begins. */
  readonly end: number
}

/** What the header lines of a poll say that has to do with its answer. */
export interface PollHeaders {
  /** Whether the client wants the connection to end with the answer. */
  readonly isLast: boolean
  readonly ifNoneMatch: string | null
}

const HTTP_11 = ' HTTP/1.1\r\n'
const HEAD_END = '\r\n\r\n'

/** The path's longest: a name has at most 128 characters, and its prefix 47. */
const TARGET_LENGTH_MAX = 256
/** Half of what the HTTP server reads; polls have a tenth of it, cookies of a proxy and all. */
const HEADERS_LENGTH_MAX = 8_192
const HEADER_LINES_MAX = 64

/** Reads the poll at `from` in `text` (bytes as latin1); null where it is not whole, or not certainly a poll. */
export function recognizePoll(text: string, from: number, memo: HeadersMemo): PollRequest | null {
  const isHead = text.startsWith('HEAD /', from)
  if (!isHead && !text.startsWith('GET /', from)) return null
  const targetStart = from + (isHead ? 5 : 4)
  const targetEnd = text.indexOf(' ', targetStart)
  if (targetEnd === -1 || targetEnd - targetStart > TARGET_LENGTH_MAX) return null
  if (!text.startsWith(HTTP_11, targetEnd)) return null
  const headersStart = targetEnd + HTTP_11.length
  const headersEnd = text.indexOf(HEAD_END, headersStart)
  if (headersEnd === -1 || headersEnd - headersStart > HEADERS_LENGTH_MAX) return null
  const headers = memo.read(text.slice(headersStart, headersEnd))
  if (headers === null) return null
  return { isHead, target: text.slice(targetStart, targetEnd), headers, end: headersEnd + HEAD_END.length }
}

/** So many kinds of clients and proxies come to one server, and more: those read again each time. */
const MEMO_MAX = 1_000

/** What header blocks said that were read before: a client sends the same lines with every poll. */
export class HeadersMemo {
  readonly #known = new Map<string, PollHeaders>()

  /** `block` is all header lines with the line ends between them. null where one of them is not certain. */
  read(block: string): PollHeaders | null {
    const known = this.#known.get(block)
    if (known !== undefined) return known
    const headers = readHeaders(block)
    if (headers === null) return null
    if (this.#known.size >= MEMO_MAX) this.#known.clear()
    // A copy: as a part of the text that was received it would keep the whole of it.
    this.#known.set(Buffer.from(block, 'latin1').toString('latin1'), headers)
    return headers
  }
}

/** No bytes but these: no control character, nothing beyond ASCII. */
const PRINTABLE = /^[\t\x20-\x7e]*$/
/** Fewer characters than the standard allows: some that it does are taken for a dash by this proxy or that. */
const NAME = /^[A-Za-z][A-Za-z0-9-]*$/

/**
 * Names that bear on where a message ends, on the connection, or on what the answer means: a list that is too long costs
 * speed, one that is too short a wrong answer, so whole families are on it.
 */
const NOT_CERTAIN =
  /^(?:content-.*|transfer-.*|te|trailer|upgrade|expect|range|if-.*|keep-alive|proxy-.*|http2-.*|sec-websocket-.*|x-http-.*|x-method-.*|x-original-.*|x-rewrite-.*)$/

const HOST = /^[A-Za-z0-9._~:[\]-]+$/

function readHeaders(block: string): PollHeaders | null {
  const lines = block.split('\r\n')
  if (lines.length > HEADER_LINES_MAX) return null
  let hosts = 0
  let isLast: boolean | null = null
  let ifNoneMatch: string | null = null
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon === -1 ? 0 : colon)
    if (!NAME.test(name) || !PRINTABLE.test(line)) return null
    // Only blanks and tabs are left to be trimmed.
    const value = line.slice(colon + 1).trim()
    switch (name.toLowerCase()) {
      case 'host':
        hosts += 1
        if (!HOST.test(value)) return null
        break
      case 'connection':
        // A second one would be a list, and lists are not read here.
        if (isLast !== null) return null
        if (/^close$/i.test(value)) isLast = true
        else if (/^keep-alive$/i.test(value)) isLast = false
        else return null
        break
      case 'if-none-match':
        if (ifNoneMatch !== null) return null
        ifNoneMatch = value
        break
      case 'if-modified-since':
        // No answer has a Last-Modified, so it never matters (RFC 9110 §13.1.3).
        break
      default:
        if (NOT_CERTAIN.test(name.toLowerCase())) return null
    }
  }
  return hosts === 1 ? Object.freeze({ isLast: isLast === true, ifNoneMatch }) : null
}
