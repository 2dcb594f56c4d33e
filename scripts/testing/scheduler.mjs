// Starts tasks in order, as many at a time as the machine has cores for, and mixes those that work with those that wait.

/**
 * Runs tasks `{ cost, lane, run }`. `cost` is the share of a core that a task keeps busy: 1 works all the time, less waits.
 * Tasks of one lane run one after the other (null for none). While both kinds are left, one task works and the others wait:
 * so the waiting costs no time of its own.
 */
export async function runTasks(tasks, cores) {
  const waiting = [...tasks]
  const running = new Map() // its promise, by task

  function next() {
    const load = [...running.keys()].reduce((sum, { cost }) => sum + cost, 0)
    const lanes = new Set([...running.keys()].map(({ lane }) => lane ?? {}))
    const fits = waiting.filter(({ cost, lane }) => (load === 0 || load + cost <= cores) && !lanes.has(lane))
    const isWorking = [...running.keys()].some(({ cost }) => cost === 1)
    return (
      fits.find(({ cost }) => (cost === 1) !== isWorking) ??
      fits.find(({ cost }) => !waiting.some((other) => other.cost < 1) || cost < 1)
    )
  }

  function start(task) {
    waiting.splice(waiting.indexOf(task), 1)
    running.set(
      task,
      task.run().finally(() => running.delete(task)),
    )
  }

  while (waiting.length > 0 || running.size > 0) {
    for (let task = next(); task !== undefined; task = next()) start(task)
    await Promise.race(running.values())
  }
}
