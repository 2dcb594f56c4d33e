// What one test file must not leave to the next one in its process: found after each file, and put back.
import fc from 'fast-check'

const functions = [
  [Date, 'now'],
  [Math, 'random'],
  [globalThis, 'setTimeout'],
  [globalThis, 'setInterval'],
  [globalThis, 'setImmediate'],
  [globalThis, 'fetch'],
]

/** Gives a function that puts everything back as it is now, and lists what had changed. */
export function watchLeftovers() {
  const env = { ...process.env }
  const cwd = process.cwd()
  const exitCode = process.exitCode
  const before = functions.map(([owner, name]) => owner[name])
  const random = fc.readConfigureGlobal()

  return () => {
    /** @type {string[]} */
    const changed = []
    const names = new Set([...Object.keys(env), ...Object.keys(process.env)])
    for (const name of names) {
      if (process.env[name] === env[name]) continue
      changed.push(`process.env.${name}`)
      if (env[name] === undefined) delete process.env[name]
      else process.env[name] = env[name]
    }
    for (const [index, [owner, name]] of functions.entries()) {
      if (owner[name] === before[index]) continue
      changed.push(name)
      owner[name] = before[index]
    }
    if (process.cwd() !== cwd) {
      changed.push('the working directory')
      process.chdir(cwd)
    }
    if (fc.readConfigureGlobal() !== random) {
      changed.push("fast-check's settings")
      fc.configureGlobal(random)
    }
    // tap sets 1 at the end of a failed run, and only then.
    if (process.exitCode !== exitCode) {
      changed.push('process.exitCode')
      process.exitCode = exitCode
    }
    return changed.join(', ')
  }
}
