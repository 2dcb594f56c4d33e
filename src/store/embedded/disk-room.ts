// Whether the disk has room for a change, asked before it is begun: lmdb 0.9 corrupts its memory where a write within a
// transaction fails for want of room, and may take the process with it.
import { statfsSync } from 'node:fs'
import { StoreUnavailable } from '../port.ts'

/** What must be free beside the change itself: the pages of every tree on the way to it. */
const ROOM_BYTES = 512 * 1024
/** A change is written as documents, as its entry with before and after, and on pages that are not full. */
const TIMES_LARGER = 6

/** Throws StoreUnavailable where the disk of `folder` has too little room to write `change`. */
export function checkRoom(folder: string, change: object): void {
  const { bavail, bsize } = statfsSync(folder)
  const needed = ROOM_BYTES + TIMES_LARGER * JSON.stringify(change).length
  if (bavail * bsize >= needed) return
  throw new StoreUnavailable(`Writing to the store: No space left on device; ${needed} bytes must be free`)
}
