// Which servers gates may ask, and with which secrets. Asked when a gate is made and again whenever it is evaluated: another
// replica, or this one after a restart, can have other lists.
import type { GateMistake } from '../rollouts/pipeline-draft.ts'
import type { Gate } from '../rollouts/pipeline.ts'
import type { AllowedHosts } from './allowed-hosts.ts'
import type { GateSecrets } from './gate-secrets.ts'

export interface GateAccess {
  readonly hosts: AllowedHosts
  /** null where BELLWETHER_GATE_SECRETS_DIR is not set. */
  readonly secrets: GateSecrets | null
}

/** Why a gate may not be asked; null where it may. Without the URL and the secret's name: either may have a secret in it by mistake. */
export function gateMistake(
  { hosts, secrets }: GateAccess,
  { url, secret }: Pick<Gate, 'url' | 'secret'>,
): GateMistake | null {
  // The query is the gate's own, under a path that is Prometheus'.
  const refused = hosts.urlRefusal(url) ?? (/[?#]/.test(url) ? 'must not have a query or a fragment' : null)
  if (refused !== null) return { field: 'url', message: refused }
  if (secret === undefined) return null
  const unusable =
    secrets === null
      ? 'is not known: this server has no secrets, since BELLWETHER_GATE_SECRETS_DIR is not set'
      : secrets.refusal(secret, url)
  return unusable === null ? null : { field: 'secret', message: unusable }
}
