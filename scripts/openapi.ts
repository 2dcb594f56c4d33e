// Writes openapi/bellwether.json, the contract that the control plane's routes declare. With `--check` it writes
// nothing and fails where the committed file says something else.
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { openApiDocument } from '../src/app/openapi-document.ts'

const file = new URL('../openapi/bellwether.json', import.meta.url)
const declared = `${JSON.stringify(await openApiDocument(), null, 2)}\n`

if (process.argv.includes('--check')) {
  const committed = await readFile(file, 'utf8').catch(() => '')
  if (committed !== declared) {
    console.error('openapi/bellwether.json is not what the routes declare; run npm run openapi and commit')
    console.error(firstDifference(committed, declared))
    process.exitCode = 1
  }
} else {
  await mkdir(new URL('.', file), { recursive: true })
  await writeFile(file, declared)
}

function firstDifference(before: string, after: string): string {
  if (before === '') return 'the file is absent or empty'
  const [old, now] = [before.split('\n'), after.split('\n')]
  const at = now.findIndex((line, index) => line !== old[index]) // the last line is empty, so a longer file differs too
  return `the first difference is in line ${at + 1}:\n- ${old[at] ?? ''}\n+ ${now[at] ?? ''}`
}
