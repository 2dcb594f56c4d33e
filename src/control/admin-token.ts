// The first token: given by the environment, or made at the first start and kept in the data directory.
import { chmod, mkdir, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { makeTokenText } from './tokens.ts'

const FILE = 'admin-token'
/** For the owner alone. */
const FILE_MODE = 0o600
/** As for a token that is given: a shorter one could be guessed. */
const LENGTH_MIN = 32

export interface AdminToken {
  readonly text: string
  /** Where it can be read, null where it came from the environment. */
  readonly path: string | null
}

/** Reads the admin token of a data directory, and makes it where there is none. Throws where the file cannot be used. */
export async function adminToken(dataDir: string, given: string | null): Promise<AdminToken> {
  if (given !== null) return { text: given, path: null }
  const path = join(dataDir, FILE)
  try {
    await mkdir(dataDir, { recursive: true })
    return { text: (await readToken(path)) ?? (await makeToken(path)), path }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(`the admin token in ${path} cannot be used: ${why}`, { cause: error })
  }
}

async function readToken(path: string): Promise<string | null> {
  try {
    const text = (await readFile(path, 'utf8')).trim()
    // A crash between making the file and writing it leaves it empty; nobody can have such a token.
    if (text === '') return null
    if (text.length < LENGTH_MIN)
      throw new Error(`it has fewer than ${LENGTH_MIN} characters; remove the file to have one made`)
    await chmod(path, FILE_MODE)
    return text
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}

async function makeToken(path: string): Promise<string> {
  const text = makeTokenText('admin')
  const file = await open(path, 'w', FILE_MODE)
  try {
    await file.writeFile(`${text}\n`)
    await file.sync()
  } finally {
    await file.close()
  }
  return text
}
