// The embedded store passes what every store must.
import { existsSync } from 'node:fs'
import t from 'tap'
import { openEmbeddedStore } from '../../../src/store/embedded/embedded-store.ts'
import { freshFolder } from '../../fixtures/store-process.ts'
import { conformance } from '../conformance.ts'

/** In memory where there is such a place: what is tested here is the same, and a flush costs nothing. */
const PARENT = existsSync('/dev/shm') ? '/dev/shm' : undefined

conformance(t, 'embedded', async (t) => {
  const folder = await freshFolder(t, PARENT)
  return { open: () => openEmbeddedStore(folder) }
})
