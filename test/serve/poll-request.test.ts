// Recognising polls: what is certainly one, what is left to the HTTP server, and that nothing is read past its end.
import fc from 'fast-check'
import t from 'tap'
import { HeadersMemo, recognizePoll } from '../../src/serve/poll-request.ts'

function recognize(text: string, from = 0) {
  return recognizePoll(text, from, new HeadersMemo())
}

function poll(...lines: readonly string[]): string {
  return ['GET /v1/a/version HTTP/1.1', 'Host: x', ...lines, '', ''].join('\r\n')
}

await t.test('a poll is recognised whole, with where the next one begins', (t) => {
  const one = poll()
  const two = one.replace('GET', 'HEAD')
  const headers = { isLast: false, ifNoneMatch: null }
  t.same(recognize(one + two), { isHead: false, target: '/v1/a/version', headers, end: one.length })
  const end = one.length + two.length
  t.same(recognize(one + two, one.length), { isHead: true, target: '/v1/a/version', headers, end })
  t.end()
})

await t.test('a poll that is not whole is left alone, wherever it breaks off', (t) => {
  const whole = poll('If-None-Match: "a"')
  for (let length = 0; length < whole.length; length += 1) {
    if (recognize(whole.slice(0, length)) !== null) t.fail(`${length} bytes`)
  }
  t.not(recognize(whole), null)
  t.end()
})

await t.test('what agents, proxies and CDNs add is harmless', (t) => {
  for (const line of [
    ...[
      'User-Agent: curl/8',
      'Accept: */*',
      'Accept-Encoding: gzip',
      'X-Forwarded-For: 10.0.0.1, 10.0.0.2',
      'Via: 1.1 cdn',
    ],
    ...[
      'traceparent: 00-4bf9-00f0-01',
      'tracestate: a=b',
      'CF-Connecting-IP: 1.2.3.4',
      'CDN-Loop: cloudflare',
      'Cookie: a=b',
    ],
    ...[
      'X-Amz-Cf-Id: x==',
      'Forwarded: for="[2001:db8::1]";proto=https',
      'Authorization: Bearer x',
      'X-Empty:',
      'X-Tab:\ta\tb',
    ],
    ...[
      'If-Modified-Since: Tue, 24 Nov 2026 11:00:00 GMT',
      'baggage: a=1',
      'X-Varnish: 1',
      'Fastly-Client-IP: 1.2.3.4',
    ],
  ]) {
    t.not(recognize(poll(line)), null, line)
  }
  t.end()
})

await t.test('what bears on framing, on the connection or on the meaning is left to the HTTP server', (t) => {
  for (const line of [
    ...[
      'Content-Length: 0',
      'content-length: 5',
      'Content-Type: text/plain',
      'Transfer-Encoding: chunked',
      'TE: trailers',
    ],
    ...['Trailer: X', 'Upgrade: h2c', 'Expect: 100-continue', 'Range: bytes=0-1', 'If-Match: "a"', 'If-Range: "a"'],
    ...[
      'Keep-Alive: timeout=5',
      'Proxy-Connection: close',
      'HTTP2-Settings: x',
      'Connection: upgrade',
      'Connection: close, x',
    ],
    ...['Connection:', 'X-HTTP-Method-Override: POST', 'X-Original-URL: /x', 'Host: y', 'If-Unmodified-Since: x'],
    ...[
      'X_Y: 1',
      'X : 1',
      ' X: 1',
      '\tX: 1',
      ': 1',
      'X',
      'X: \x00',
      'X: \x7f',
      'X: \xe4',
      '\xe4: 1',
      'X: a\rb',
      'X: a\nb',
      '1X: 1',
    ],
    ...[
      'Connection: close\r\nConnection: close',
      'If-None-Match: "a"\r\nIf-None-Match: "b"',
      `X: ${'x'.repeat(8_192)}`,
    ],
    Array.from({ length: 65 }, (_, index) => `X-${index}: 1`).join('\r\n'),
  ]) {
    t.equal(recognize(poll(line)), null, JSON.stringify(line.slice(0, 60)))
  }
  t.end()
})

await t.test('another request line than that of a poll is left to the HTTP server', (t) => {
  for (const line of [
    ...[
      'POST /v1/a/version HTTP/1.1',
      'get /v1/a/version HTTP/1.1',
      'GET  /v1/a/version HTTP/1.1',
      'GET /v1/a/version HTTP/1.0',
    ],
    ...[
      'GET /v1/a/version  HTTP/1.1',
      'GET /v1/a/version HTTP/1.1 ',
      'GET /v1/a/version',
      'GET http://x/v1/a/version HTTP/1.1',
    ],
    ...[
      'GET /v1/a/version http/1.1',
      '\r\nGET /v1/a/version HTTP/1.1',
      'GET * HTTP/1.1',
      `GET /${'a'.repeat(300)} HTTP/1.1`,
    ],
  ]) {
    t.equal(recognize(`${line}\r\nHost: x\r\n\r\n`), null, line.slice(0, 60))
  }
  for (const host of ['', 'Host:', 'Host: a b', 'Host: a/b', 'Host: a,b', 'Host: a\r\nHost: a']) {
    t.equal(recognize(`GET /v1/a/version HTTP/1.1\r\n${host}\r\n\r\n`), null, host)
  }
  t.equal(recognize('GET /v1/a/version HTTP/1.1\r\n\r\n' + poll()), null, 'the next one lends it no headers')
  t.equal(recognize(poll().replaceAll('\r\n', '\n')), null)
  t.end()
})

await t.test('what the headers say is read, in any case and with blanks around it', (t) => {
  t.match(recognize(poll('connection:  CLOSE \t')), { headers: { isLast: true } })
  t.match(recognize(poll('Connection: Keep-Alive')), { headers: { isLast: false } })
  t.match(recognize(poll('IF-NONE-MATCH: W/"a", "b" ')), { headers: { ifNoneMatch: 'W/"a", "b"' } })
  t.end()
})

await t.test('headers that were read before say the same again, also after the memory was full', (t) => {
  const memo = new HeadersMemo()
  const first = memo.read('Host: x\r\nConnection: close')
  t.equal(memo.read('Host: x\r\nConnection: close'), first, 'the same object')
  for (let count = 0; count < 3_000; count += 1) memo.read(`Host: x\r\nX-Id: ${count}`)
  t.same(memo.read('Host: x\r\nConnection: close'), first)
  t.end()
})

await t.test('no bytes make it throw, loop, or read past the end', (t) => {
  const noise = fc.array(
    fc.oneof(
      fc.constantFrom(
        'GET ',
        'HEAD ',
        '/v1/a/version',
        ' HTTP/1.1',
        '\r\n',
        '\r\n\r\n',
        'Host: x',
        ': ',
        'Connection: close',
        '"',
      ),
      fc.string({ unit: 'binary', maxLength: 5 }),
    ),
    { maxLength: 30 },
  )
  fc.assert(
    fc.property(noise, (parts) => {
      const text = Buffer.from(parts.join('')).toString('latin1')
      const found = recognize(text)
      return found === null || (found.end <= text.length && text.slice(0, found.end).endsWith('\r\n\r\n'))
    }),
    { numRuns: 5_000 },
  )
  t.pass('5,000 texts')
  t.end()
})
