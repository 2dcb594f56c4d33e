// Characters that deceive: found with their position, and escaped where the text is not ours to refuse.
import t from 'tap'
import { escapeUnsafe, findUnsafe } from '../../src/channels/unsafe-text.ts'

const UNSAFE = [
  ...[...Array.from({ length: 32 }, (_, code) => code), ...Array.from({ length: 33 }, (_, n) => 0x7f + n)],
  ...[
    0x06_1c, 0x20_0e, 0x20_0f, 0x20_28, 0x20_29, 0x20_2a, 0x20_2e, 0x20_66, 0x20_69, 0xd8_00, 0xdb_ff, 0xdc_00, 0xdf_ff,
  ],
].map((code) => String.fromCharCode(code))

t.test('each is found, with its name and its place in characters', (t) => {
  for (const character of UNSAFE) {
    const code = `U+${character.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`
    t.match(findUnsafe(`😀é${character}`, false), { codePoint: code, position: 3 })
    const isLayout = character === '\n' || character === '\t'
    t.equal(findUnsafe(`a${character}b`, true) === null, isLayout, code)
  }
  t.match(findUnsafe('a\nb\u202ec', true), { meaning: 'mark of the direction of writing', position: 4 })
  t.match(findUnsafe('\ud800', true), { meaning: 'half of a surrogate pair', position: 1 })
  t.match(findUnsafe('\u2028', true), { meaning: 'separator' })
  t.match(findUnsafe('\r\n', true), { meaning: 'control character', codePoint: 'U+000D' })
  for (const text of ['', 'plain', '😀 ä \u00a0\u00ad', 'שלום', 'مرحبا', '👩‍👩‍👧', '\ufeff'])
    t.equal(findUnsafe(text, false), null, text)
  t.end()
})

t.test('what is escaped has none of them, keeps all else, and says what was there', (t) => {
  for (const character of UNSAFE) {
    const text = escapeUnsafe(`a"\\${character}😀`)
    t.equal(findUnsafe(text, false), null)
    t.ok(text.startsWith('a"\\\\') && text.endsWith('😀'))
  }
  t.equal(escapeUnsafe('a\u202eb\u0007\ud800\n'), 'a\\u202eb\\u0007\\ud800\\n')
  t.equal(escapeUnsafe('errors{zone="a"}'), 'errors{zone="a"}')
  t.end()
})
