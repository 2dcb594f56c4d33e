// What else goes into a commit beside its channels.

/** Bytes of JSON of documents that a commit writes besides, if they fit: they share the entry with up to 900 channels. */
const OTHERS_BYTES_MAX = 1024 * 1024

/** The first of several documents' contents, as many as fit into a commit beside what else it writes; others come later. */
export function fitting<T extends object>(contents: readonly T[], countMax: number): readonly T[] {
  let bytes = 0
  const over = contents.findIndex((content, index) => {
    bytes += Buffer.byteLength(JSON.stringify(content))
    return index >= countMax || bytes > OTHERS_BYTES_MAX
  })
  return over === -1 ? contents : contents.slice(0, over)
}
