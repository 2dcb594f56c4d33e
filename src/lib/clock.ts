// The one source of time: real in the server, wound by hand in tests.

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Calls `run` once after `delayMs`; the answer cancels it. Does not keep the process alive. */
  after(delayMs: number, run: () => void): () => void
}

/** The clocks of the machine: one that can be set, and one that cannot. */
export interface MachineClock extends Clock {
  /** Milliseconds since some moment; only differences mean anything. */
  monotonicMs(): number
}

export const systemClock: MachineClock = {
  now: () => Date.now(),
  monotonicMs: () => Math.floor(performance.now()),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  },
}
