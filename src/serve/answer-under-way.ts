// The HTTP response that a connection is busy with, where Node.js keeps it.
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/** null where no request waits for its response. Node's own refusals look for it in the same place; there is no public one. */
export function answerUnderWay(socket: Socket): ServerResponse | null {
  // Not part of Node's types; what it is made of is checked by every test of requests sent together.
  return (socket as { readonly ['_httpMessage']?: ServerResponse | null })['_httpMessage'] ?? null
}
