// The server process. The one file that ends it.
import { runServer, startFaultText } from './boot/server.ts'

try {
  await runServer()
} catch (error) {
  process.stderr.write(startFaultText(error))
  process.exit(1)
}
