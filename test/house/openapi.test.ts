// The OpenAPI document: what is committed is what the routes declare, and every operation is described.
import t from 'tap'
import { openApiDocument, openApiText } from '../../src/app/openapi-document.ts'
import { readText } from '../fixtures/source-tree.ts'

interface Operation {
  readonly operationId?: string
  readonly summary?: string
  readonly description?: string
  readonly responses: Readonly<Record<string, { readonly description?: string }>>
}

t.test('openapi/bellwether.json is what the routes declare; npm run openapi writes it', async (t) => {
  const [committed, declared] = [readText('openapi/bellwether.json'), await openApiText()]
  t.same(JSON.parse(committed), JSON.parse(declared))
  t.ok(committed === declared, 'to the byte')
})

t.test('every operation has an id of its own, a summary, a description, and described answers', async (t) => {
  // The document is OpenAPI 3.1 by construction; only these members are read.
  const { paths } = (await openApiDocument()) as { paths: Record<string, Record<string, Operation>> }
  const ids: string[] = []
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const name = `${method} ${path}`
      ids.push(operation.operationId ?? '')
      t.ok(operation.operationId, `${name} has an operationId`)
      t.ok(operation.summary, `${name} has a summary`)
      t.ok(operation.description, `${name} has a description`)
      for (const [status, response] of Object.entries(operation.responses))
        t.ok(response.description, `${name} ${status}`)
    }
  }
  t.equal(new Set(ids).size, ids.length, 'no id is used twice')
})
