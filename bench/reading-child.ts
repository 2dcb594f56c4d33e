// Readers of a list or of the journal in a process of their own: to receive megabytes would delay whoever measures beside them.
// Forked by reading.ts, which says what to read; when its parent sends anything else it ends, and says how many pages it has read.
import { Client } from './client.ts'

export interface Reading {
  readonly url: string
  readonly token: string
  /** With a query, which gets the cursor of the next page. */
  readonly path: string
  readonly readers: number
}

/** `next` is the last member of every page, or before its last. */
const NEXT_WITHIN = 600

let isOver = false
let pages = 0

process.on('message', (message: Reading | 'end') => {
  if (message === 'end') isOver = true
  else void start(message)
})

async function start({ url, token, path, readers }: Reading): Promise<void> {
  const client = new Client(url, readers, token)
  const read = async (): Promise<void> => {
    for (let cursor = ''; !isOver;) {
      const { status, body } = await client.admin('GET', `${path}${cursor}`)
      if (status !== 200) throw new Error(`a page of ${path} was answered ${status} ${body.slice(0, 200)}`)
      pages += 1
      // At the end of a page, and not parsed.
      const next = /"next":"([^"]+)"/.exec(body.slice(-NEXT_WITHIN))?.[1]
      cursor = next === undefined ? '' : `&cursor=${next}`
    }
  }
  await Promise.all(Array.from({ length: readers }, read))
  client.close()
  process.send?.(pages, () => process.disconnect())
}
