// A store that a newer Bellwether has written is not opened by this one, whatever part of it is newer.
import { join } from 'node:path'
import t from 'tap'
import { openDatabase, type Database } from '../../../src/store/embedded/database.ts'
import { openEmbeddedStore } from '../../../src/store/embedded/embedded-store.ts'
import { FORMAT } from '../../../src/store/port.ts'
import { commit, put } from '../../fixtures/store-changes.ts'
import { freshFolder } from '../../fixtures/store-process.ts'

const NEWER = FORMAT + 1

const PARTS: Readonly<Record<string, (database: Database) => void>> = {
  store: (database) => database.putMeta({ ...database.meta(), format: NEWER }),
  document: (database) => database.putDocument({ key: 'a', revision: 2, format: NEWER, body: {} }),
  'last entry': (database) => {
    const seq = database.meta().seq + 1
    database.appendEntry({ ...database.entry(1), seq, format: NEWER })
    database.putMeta({ ...database.meta(), seq })
  },
}

for (const [part, write] of Object.entries(PARTS)) {
  await t.test(`a newer ${part} keeps the store from opening`, async (t) => {
    const folder = join(await freshFolder(t), 'data')
    const store = await openEmbeddedStore(folder)
    await commit(store, [put('a', 0)])
    await store.close()
    const database = await openDatabase(folder)
    database.write(() => write(database))
    await database.close()
    await t.rejects(openEmbeddedStore(folder), {
      name: 'StoreNotOpened',
      message: /written by a newer Bellwether \(format 2, this one reads up to 1\)/,
    })
    await t.rejects(openEmbeddedStore(folder), { message: /newer Bellwether/ }, 'and the folder is free again')
  })
}
