// Which variables of the environment poll workers get. They read what strangers send, so no secret of ours or of the platform may be
// there.

/** What a poll worker reads: of the configuration nothing secret (the ticket secret is sent to it), and what Node.js and libraries read. */
const OF_WORKERS =
  /^(?:BELLWETHER_(?:POLL_(?:HOST|PORT|MAX_AGE_S|TLS_CERT|TLS_KEY)|CONNECTIONS_PER_ADDRESS)|PATH|TZ|TMPDIR|LANG|(?:NODE|LC|LD|UV|SSL_CERT|OPENSSL|MALLOC)_\w+)$/

/** All other variables of these names, each undefined. */
export function withheldFromWorkers(names: readonly string[]): Readonly<Record<string, undefined>> {
  return Object.fromEntries(names.filter((name) => !OF_WORKERS.test(name)).map((name) => [name, undefined]))
}
