// The servers that releases and rollouts ask: where packages are, and Prometheus. Their clients are loaded with the first
// question, since most servers never ask one.
import { ConfigError, type Config } from './config.ts'
import { AllowedHosts } from './control/allowed-hosts.ts'
import type { Outside } from './control/control.ts'
import { gateMistake } from './control/gate-access.ts'
import type { GateClient } from './control/gate-client.ts'
import type { GateSecrets } from './control/gate-secrets.ts'
import type { EvaluateGate } from './control/gate-watch.ts'
import type { OutboundLog } from './control/outbound-request.ts'
import type { PackageClient } from './control/package-client.ts'

export interface OpenOutside extends Outside {
  readonly evaluate: EvaluateGate
  readonly close: () => void
}

/** Reads the secrets of gates where the process evaluates any. Throws ConfigError with a line for every file that is none. */
export async function openGateSecrets({
  gateSecretsDir,
  role,
}: Pick<Config, 'gateSecretsDir' | 'role'>): Promise<GateSecrets | null> {
  if (gateSecretsDir === null || role === 'poll') return null
  const read = await (await import('./control/gate-secrets.ts')).GateSecrets.read(gateSecretsDir)
  if (read.outcome === 'unreadable') throw new ConfigError(read.problems)
  return read.secrets
}

export function openOutside(
  { gatesAllow, packagesAllow }: Pick<Config, 'gatesAllow' | 'packagesAllow'>,
  log: OutboundLog | null = null,
  secrets: GateSecrets | null = null,
): OpenOutside {
  const access = { hosts: new AllowedHosts(gatesAllow, 'BELLWETHER_GATES_ALLOW'), secrets }
  const packageHosts = new AllowedHosts(packagesAllow, 'BELLWETHER_PACKAGES_ALLOW')
  let gates: Promise<GateClient> | null = null
  let packages: Promise<PackageClient> | null = null
  return {
    gateRefusal: (gate) => gateMistake(access, gate),
    async evaluate(gate) {
      gates ??= import('./control/gate-client.ts').then((module) => new module.GateClient(access, undefined, log))
      return (await gates).evaluate(gate)
    },
    async checkPackages(urls) {
      packages ??= import('./control/package-client.ts').then(
        (module) => new module.PackageClient(packageHosts, undefined, log),
      )
      return (await packages).check(urls)
    },
    close() {
      // One that could not be loaded has been told to those who asked for it.
      gates?.then((client) => client.close()).catch(() => {})
      packages?.then((client) => client.close()).catch(() => {})
    },
  }
}
