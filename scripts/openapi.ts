// Writes openapi/bellwether.json, the contract that the control plane's routes declare. That the committed file says the same is
// checked by test/house/openapi.test.ts.
import { mkdir, writeFile } from 'node:fs/promises'
import { openApiText } from '../src/app/openapi-document.ts'

const file = new URL('../openapi/bellwether.json', import.meta.url)
await mkdir(new URL('.', file), { recursive: true })
await writeFile(file, await openApiText())
