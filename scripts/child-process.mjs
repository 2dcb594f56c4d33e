// Runs one child process and keeps what it prints. The child never outlives this process's own SIGINT, SIGTERM or
// SIGHUP: an install left running behind the user's back would break the next one.
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { delimiter } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('..', import.meta.url))

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP']
const stopGraceMs = 5_000 // a child that ignores the signal for this long is killed

/**
 * Runs a command in the repository's root, with the installed tools first in its PATH, and answers
 * `{ ok, code, signal, output, errors }` when it has ended: `output` is what it printed to stdout and stderr in order,
 * `errors` what of that went to stderr. With `onStdout`, stdout is handed over as it comes and not kept.
 */
export function run(command, args, { onStdout, env = {} } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, PATH: `${root}node_modules/.bin${delimiter}${process.env.PATH}`, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let output = ''
    let errors = ''
    child.stdout.setEncoding('utf8').on('data', (text) => (onStdout ? onStdout(text) : (output += text)))
    child.stderr.setEncoding('utf8').on('data', (text) => {
      output += text
      errors += text
    })

    const stop = (signal) => {
      child.kill(signal)
      const kill = setTimeout(() => child.kill('SIGKILL'), stopGraceMs)
      child.once('exit', () => {
        clearTimeout(kill)
        process.exit(128 + constants.signals[signal])
      })
    }
    for (const signal of stopSignals) process.on(signal, stop)

    const settle = (result) => {
      for (const signal of stopSignals) process.off(signal, stop)
      resolve(result)
    }
    child.once('error', (error) => {
      settle({ ok: false, code: null, signal: null, output: `${output}${command}: ${error.message}\n`, errors })
    })
    child.once('close', (code, signal) => settle({ ok: code === 0, code, signal, output, errors }))
  })
}
