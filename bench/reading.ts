// Readers beside what is measured, in another process.
import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Reading } from './reading-child.ts'

const CHILD = fileURLToPath(new URL('reading-child.ts', import.meta.url))

/** Starts readers; the answer ends them and gives the pages that they have read. It rejects where one was not answered. */
export function startReading(reading: Reading): () => Promise<number> {
  const child = fork(CHILD, { execArgv: ['--import', 'tsx'] })
  const ended = new Promise<number>((resolve, reject) => {
    let pages: number | null = null
    child.on('message', (message) => (pages = Number(message)))
    child.once('exit', (code) => {
      if (code === 0 && pages !== null) resolve(pages)
      else reject(new Error(`the readers of ${reading.path} have ended with ${code}`))
    })
  })
  ended.catch(() => {})
  child.send(reading)
  return () => {
    if (child.connected) child.send('end')
    return ended
  }
}
