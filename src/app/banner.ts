// What whoever starts the server reads first: where it listens, where the token is, and a first command to paste.

export interface BannerFacts {
  readonly version: string
  readonly pollAddress: string | null
  readonly controlAddress: string | null
  readonly metricsAddress: string | null
  /** null where the token came from the environment. */
  readonly tokenPath: string | null
}

export function banner({ version, pollAddress, controlAddress, metricsAddress, tokenPath }: BannerFacts): string {
  const lines = [`Bellwether ${version}`]
  if (pollAddress !== null) lines.push(`  agents poll      ${pollAddress}`)
  if (metricsAddress !== null) lines.push(`  metrics          ${metricsAddress}/metrics`)
  if (controlAddress !== null) {
    const token = tokenPath === null ? '$BELLWETHER_ADMIN_TOKEN' : `$(cat ${shellWord(tokenPath)})`
    lines.push(
      `  operators use    ${controlAddress}  (API docs: ${controlAddress}/admin/v1/docs)`,
      `  admin token      ${tokenPath ?? 'as given in BELLWETHER_ADMIN_TOKEN'}`,
      '',
      'Set a first version (paste this):',
      '',
      `  curl -sS -X POST ${controlAddress}/admin/v1/channels \\`,
      `    -H "Authorization: Bearer ${token}" \\`,
      `    -H 'Content-Type: application/json' \\`,
      `    -d '{"name":"stable/cloud","source":{"kind":"static","version":"15.1.4"}}'`,
    )
    if (pollAddress !== null) {
      lines.push('', 'then ask as an agent does:', '', `  curl -sSf ${pollAddress}/v1/stable/cloud/version`)
    }
  }
  return `${lines.join('\n')}\n`
}

/** A path as one word of a shell command; inside `$(…)` the quotes around it do not count. */
function shellWord(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", String.raw`'\''`)}'`
}
