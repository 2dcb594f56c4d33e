// What a start says of mistakes in the environment: one line each, and never a secret.

export const NO_NUMBER = 'must be a whole number'

/** The shape of one of ajv's errors, as far as it is read here. */
interface SchemaError {
  readonly instancePath: string
  readonly keyword: string
  readonly params: { readonly allowedValues?: readonly unknown[]; readonly limit?: number }
  readonly message?: string
}

/** One line for each variable; of ajv's several errors about one choice only the sum is worth a line. */
export function mistakes(error: unknown, set: Readonly<Record<string, string | undefined>>): readonly string[] {
  // env-schema throws an Error that carries ajv's list; anything else is a fault of this program.
  const errors = (error as { errors?: readonly SchemaError[] }).errors
  if (errors === undefined) throw error
  const names = new Set(errors.map(({ instancePath }) => instancePath.slice(1)))
  return [...names].map((name) => {
    const about = errors.filter(({ instancePath }) => instancePath === `/${name}`)
    const choices = about.flatMap(({ params }) => params.allowedValues ?? [])
    const rule = choices.length > 0 ? `must be one of ${choices.join(', ')}` : ruleOf(name, about)
    // A secret's text never gets into a message.
    const given = /_(?:TOKEN|URL|SECRET)$/.test(name) ? '' : `, not ${JSON.stringify(set[name])}`
    return `${name} ${rule}${given}`
  })
}

function ruleOf(name: string, errors: readonly SchemaError[]): string {
  const [first] = errors
  if (first?.keyword === 'pattern' && name.endsWith('_ALLOW')) {
    return 'must be hosts with commas between, like updates.example.com,*.internal.example:8443'
  }
  if (name === 'BELLWETHER_GITHUB_REPOSITORIES')
    return 'must be repositories with commas between, like acme/agent,acme/web'
  if (name === 'BELLWETHER_WORKERS') return 'must be a whole number from 1 to 99, or auto'
  if (first?.keyword === 'pattern' && name !== 'BELLWETHER_ADMIN_TOKEN') {
    return 'must be 1 to 63 letters, digits, dots, dashes and underlines, and begin with a letter or digit'
  }
  if (first?.keyword === 'pattern') return 'must be made of ASCII letters, digits and signs, without white space'
  if (first?.keyword === 'minLength') return `must have at least ${first.params.limit} characters`
  if (first?.keyword === 'maxLength') return `must have at most ${first.params.limit} characters`
  if (first?.keyword === 'minimum') return `must be at least ${first.params.limit}`
  if (first?.keyword === 'maximum') return `must be at most ${first.params.limit}`
  return first?.keyword === 'type' ? NO_NUMBER : (first?.message ?? 'is not valid')
}

export function unknownName(name: string, known: readonly string[]): string {
  return `${name} is not a setting of Bellwether; the settings are ${known.join(', ')}`
}
