// When the server drains and when it closes: SIGTERM drains first; SIGINT, a second signal and a fault close at once.
import closeWithGrace from 'close-with-grace'
import type { Logger } from 'pino'
import { systemClock } from '../lib/clock.ts'
import type { Lifecycle } from '../serve/lifecycle.ts'

/** Closing has this long once the drain is over; then the process ends all the same. */
const CLOSE_GRACE_MS = 10_000
/** A Ctrl-C under npm comes twice: from the terminal, and passed on by npm. */
const REPEAT_MS = 500

/** Listened to here. closeWithGrace listens to all others, and closes at once. */
const SIGNALS = ['SIGTERM', 'SIGINT'] as const

export interface ClosingOptions {
  /** Load balancers need this long to see that the process is not ready; 0 closes at once. */
  readonly drainMs: number
  readonly lifecycle: Lifecycle
  readonly logger: Logger
  /** Stops everything that was started. */
  readonly stop: () => Promise<void>
}

/** Listens to signals and faults from now on, and ends the process after one. */
export function closeOnSignals({ drainMs, lifecycle, logger, stop }: ClosingOptions): void {
  const { close } = closeWithGrace({ delay: CLOSE_GRACE_MS, logger, skip: [...SIGNALS] }, async (why) => {
    lifecycle.close()
    // A later signal ends the process at once.
    systemClock.after(REPEAT_MS, () => {
      for (const signal of SIGNALS) process.off(signal, hear)
    })
    // Something may have been thrown that is no error, or nothing at all.
    const isFault = 'err' in why
    if (isFault) logger.fatal({ err: errorOf(why.err) }, 'a fault of the server; ending')
    await stop()
    // Only with an error the exit code says that there was one.
    if (isFault && !why.err) throw errorOf(why.err)
  })
  let cancelDrain = (): void => {}
  const closeNow = (): void => {
    cancelDrain()
    // Closing has begun, by a fault or by the signal of which this is the repetition.
    if (lifecycle.isClosing) return
    close()
  }
  const hear = (signal: NodeJS.Signals): void => {
    if (signal !== 'SIGTERM' || drainMs === 0 || !lifecycle.isServing) {
      closeNow()
      return
    }
    logger.info({ drainMs }, 'draining: readiness is 503, requests are answered as before')
    lifecycle.drain()
    cancelDrain = systemClock.after(drainMs, closeNow)
  }
  for (const signal of SIGNALS) process.on(signal, hear)
}

function errorOf(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(`what was thrown is no error: ${String(thrown)}`)
}
