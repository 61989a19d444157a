/** Real worker threads under a real supervisor, in explicit mode, with configuration from text. */
import { compile } from '../../config/compile.ts'
import { load } from '../../config/load.ts'
import { Supervisor } from '../../proxy/control/supervisor.ts'
import { HeardLog } from '../control/support.ts'

/** Real workers under a real supervisor, serving `yaml`. */
export async function startWorkers(yaml: string, workers: number) {
  const workload = {
    name: 'test',
    namespace: 'default',
    serviceAccount: 'default',
    labels: {},
    addresses: ['127.0.0.1'],
  }
  let changed: () => void = () => undefined
  const log = new HeardLog()
  const supervisor = new Supervisor({
    script: new URL('../../proxy/worker/main.ts', import.meta.url),
    settings: {
      workers,
      outbound: { address: '127.0.0.1', port: 0 },
      inbound: undefined,
      explicit: true,
      binds: [],
      app: undefined,
      accessLog: 'off',
      logLevel: 'info',
    },
    log,
    onChange: () => changed(),
  })
  const until = async (is: () => boolean): Promise<void> => {
    while (!is())
      await new Promise<void>((done) => {
        changed = done
      })
  }
  const publish = (text: string): void => {
    const { resources } = load([{ path: 'web.yaml', text }])
    supervisor.publish(compile(resources, workload).snapshot)
  }
  const { outbound } = await supervisor.start()
  publish(yaml)
  await until(() => supervisor.settled)
  return {
    supervisor,
    log,
    outbound,
    publish,
    until,
    [Symbol.asyncDispose]: () => supervisor.stop(),
  }
}
