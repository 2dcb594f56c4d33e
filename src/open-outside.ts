// The servers that releases and rollouts ask: where packages are, and Prometheus. Their clients are loaded with the first
// question, since most servers never ask one.
import type { Config } from './config.ts'
import { AllowedHosts } from './control/allowed-hosts.ts'
import type { Outside } from './control/control.ts'
import type { GateClient } from './control/gate-client.ts'
import type { EvaluateGate } from './control/gate-watch.ts'
import type { OutboundLog } from './control/outbound-request.ts'
import type { PackageClient } from './control/package-client.ts'

export interface OpenOutside extends Outside {
  readonly evaluate: EvaluateGate
  readonly close: () => void
}

export function openOutside(
  { gatesAllow, packagesAllow }: Pick<Config, 'gatesAllow' | 'packagesAllow'>,
  log: OutboundLog | null = null,
): OpenOutside {
  const gateHosts = new AllowedHosts(gatesAllow, 'BELLWETHER_GATES_ALLOW')
  const packageHosts = new AllowedHosts(packagesAllow, 'BELLWETHER_PACKAGES_ALLOW')
  let gates: Promise<GateClient> | null = null
  let packages: Promise<PackageClient> | null = null
  return {
    // The query is the gate's own, under a path that is Prometheus'.
    gateRefusal: (url) => (/[?#]/.test(url) ? 'must not have a query or a fragment' : gateHosts.urlRefusal(url)),
    async evaluate(gate) {
      gates ??= import('./control/gate-client.ts').then((module) => new module.GateClient(gateHosts, undefined, log))
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
