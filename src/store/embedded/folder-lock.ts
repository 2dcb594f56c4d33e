// The folder of an embedded store, and the kernel's lock on it: one process at a time, freed when that process dies.
import { closeSync, mkdirSync, openSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { tryLock, unlock } from 'fs-native-extensions'
import { StoreNotOpened } from '../port.ts'
import { codeOf, openingFaultOf } from './faults.ts'

/** Documents include the hashes of tokens, so nobody but the owner reads the folder. */
const FOLDER_MODE = 0o700
const FILE_MODE = 0o600

/** A folder that is held; `release` may be called more than once. */
export interface FolderLock {
  release(): void
}

/** Makes the folder where it is missing and takes its lock; throws StoreNotOpened with one clear sentence. */
export function lockFolder(folder: string): FolderLock {
  const fd = openLockFile(folder)
  if (!taken(fd, folder)) {
    closeSync(fd)
    throw new StoreNotOpened(
      `The store in ${folder} is in use by another Bellwether: ` +
        `stop that one, or set BELLWETHER_DATA_DIR to another folder`,
    )
  }
  let held = true
  return {
    release() {
      if (!held) return
      held = false
      unlock(fd)
      closeSync(fd)
    },
  }
}

function openLockFile(folder: string): number {
  try {
    makeFolder(resolve(folder))
    // Opened for writing, because the kernel gives an exclusive lock on nothing else; the file stays empty, because
    // an opener that is refused must not have changed what belongs to the one that runs.
    return openSync(join(folder, 'lock'), 'a', FILE_MODE)
  } catch (error) {
    throw openingFaultOf(error, folder)
  }
}

/** Not mkdir's own `recursive`: Node.js answers ENOENT there where the file system is read-only. */
function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { mode: FOLDER_MODE })
  } catch (error) {
    const code = codeOf(error)
    if (code === 'EEXIST' && statSync(folder).isDirectory()) return
    if (code !== 'ENOENT') throw error
    makeFolder(dirname(folder))
    mkdirSync(folder, { mode: FOLDER_MODE })
  }
}

/** The lock belongs to the open file, not to the process, so a second store in one process is refused as well. */
function taken(fd: number, folder: string): boolean {
  try {
    return tryLock(fd)
  } catch (error) {
    closeSync(fd)
    throw openingFaultOf(error, folder)
  }
}
