// Does something every so often, one run at a time. A run that fails is reported, and the next one comes.
import type { Clock } from './clock.ts'

export interface PeriodicTaskOptions {
  readonly clock: Clock
  /** From the end of one run to the start of the next; a function is called after each run. */
  readonly intervalMs: number | (() => number)
  /** From the start of the task to its first run; `intervalMs` unless given. With 0 the first run begins before the call returns. */
  readonly firstMs?: number
  /** `signal` aborts when the task is stopped: a run that takes long can end early. */
  readonly run: (signal: AbortSignal) => Promise<void> | void
  /** Called with what a run has thrown. */
  readonly failed: (error: unknown) => void
}

/** Ends a task: no run begins after the call; resolves once the run under way has ended. */
export type StopTask = () => Promise<void>

/**
 * Starts the task. The interval begins when a run has ended, so a run that is longer than the interval delays the next one, and
 * two never overlap. Only delays are measured, so a clock that is set back delays nothing.
 */
export function startPeriodicTask(options: PeriodicTaskOptions): StopTask {
  const { clock, run, failed } = options
  const intervalMs = (): number => (typeof options.intervalMs === 'number' ? options.intervalMs : options.intervalMs())
  const ending = new AbortController()
  let cancel = (): void => {}
  let running: Promise<void> = Promise.resolve()
  const runOnce = async (): Promise<void> => {
    try {
      await run(ending.signal)
    } catch (error) {
      failed(error)
    } finally {
      if (!ending.signal.aborted) schedule(intervalMs())
    }
  }
  const start = (): void => {
    running = runOnce()
  }
  const schedule = (delayMs: number): void => {
    cancel = clock.after(delayMs, start)
  }
  if (options.firstMs === 0) start()
  else schedule(options.firstMs ?? intervalMs())
  return () => {
    ending.abort()
    cancel()
    return running
  }
}
