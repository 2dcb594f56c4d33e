// What libraries, and Node.js itself, write to the console, as lines of the log: a reader of the log gets JSON and nothing else.
import { format } from 'node:util'
import type { Logger } from 'pino'

const LEVELS = { log: 'info', info: 'info', debug: 'debug', warn: 'warn', error: 'error', trace: 'debug' } as const

/** For the rest of the process. What the server tells its user goes to stdout by itself. */
export function logConsole(logger: Logger): void {
  for (const [method, level] of Object.entries(LEVELS)) {
    Object.assign(console, {
      [method]: (...words: unknown[]) => logger[level]({ source: 'console' }, format(...words)),
    })
  }
  // Node.js prints them by a listener of its own.
  process.removeAllListeners('warning')
  process.on('warning', ({ name, message }) => logger.warn({ source: 'node', name }, message))
}
