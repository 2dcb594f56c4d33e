// Whether the packages of a release can be downloaded.
import { momentOf } from '../channels/time.ts'
import type { ReleasePackage } from '../rollouts/release.ts'
import type { Control, Request } from './control.ts'
import type { PackagesMissing } from './release-result.ts'

export type Packages = { readonly outcome: 'found'; readonly packages: readonly ReleasePackage[] } | PackagesMissing

/** Asks for the packages at these URLs with the first call; later ones get the same answer, however often a change is decided. */
export function packageFinder(control: Control, request: Request, urls: readonly string[]): () => Promise<Packages> {
  let found: Promise<Packages> | null = null
  return () => (found ??= findPackages(control, request.mayAskOthers === false ? [] : urls, urls))
}

/** `asked` are those that are looked for; the others are taken to be there. */
async function findPackages(control: Control, asked: readonly string[], urls: readonly string[]): Promise<Packages> {
  const checked = asked.length === 0 ? [] : await control.outside.checkPackages(asked)
  const missing = checked.filter(({ problem }) => problem !== null)
  if (missing.length > 0) return { outcome: 'packages-missing', packages: missing }
  const foundAt = momentOf(control.clock.now())
  return { outcome: 'found', packages: [...new Set(urls)].map((url) => ({ url, foundAt })) }
}
