// Which build this is, as package.json says.
import { readFileSync } from 'node:fs'

// package.json is one folder up from src/ and from dist/ alike.
const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string } // It is ours.

export const build = Object.freeze({ name: 'bellwether', version: manifest.version })
