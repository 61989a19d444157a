/** A running demo mesh: six applications with a sidecar each, started and ended together. */
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, createWriteStream, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StartFailure } from '../../proxy/control/start-failure.ts'
import type { Interruption } from './interruption.ts'
import { type Member, members, podYaml } from './members.ts'

/** How applications and sidecars are run: in namespaces under capture, or on loopback addresses. */
export interface Ground extends AsyncDisposable {
  /** One line for people: what kind of mesh this is. */
  readonly description: string
  addressOf(member: Member): string
  /** Argument vectors with environment; started by the mesh. */
  application(member: Member): Launch
  sidecar(member: Member, folders: readonly string[]): Launch
  /** After the sidecars are up: sends traffic their way. */
  capture(): Promise<void>
  /** Where this process reaches the page. */
  readonly pageUrl: string
  /** Starts what makes pageUrl answer. */
  openPage(): Promise<void>
  /** Whether a sidecar is ready. */
  ready(member: Member): Promise<boolean>
}

export interface Launch {
  readonly argv: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export class Mesh implements AsyncDisposable {
  readonly ground: Ground
  /** Generated files (Pods) and logs. */
  readonly folder = openFolder('outrider-demo-')
  private readonly children: ChildProcess[] = []
  private readonly configFolder: string
  private died: string | undefined

  private constructor(ground: Ground, configFolder: string) {
    this.ground = ground
    this.configFolder = configFolder
  }

  /** `configFolder`: the YAML all sidecars follow. Resolves when every sidecar is ready. */
  static async start(
    ground: Ground,
    configFolder: string,
    interruption: Interruption,
  ): Promise<Mesh> {
    const mesh = new Mesh(ground, configFolder)
    try {
      await interruption.or(mesh.bringUp())
    } catch (error) {
      await mesh[Symbol.asyncDispose]()
      throw error
    }
    return mesh
  }

  private async bringUp(): Promise<void> {
    const pods = members.map((member) => podYaml(member, this.ground.addressOf(member)))
    const podFile = join(this.folder, 'pods.yaml')
    writeFileSync(podFile, pods.join(''))
    for (const member of members) {
      this.launch(`${member.name}-app`, this.ground.application(member))
      const folders = [this.configFolder, podFile]
      this.launch(`${member.name}-sidecar`, this.ground.sidecar(member, folders))
    }
    await Promise.all(members.map((member) => this.untilReady(member)))
    await this.ground.capture()
    await this.ground.openPage()
    await this.untilServing()
  }

  private launch(name: string, { argv, env }: Launch): void {
    const [file = '', ...rest] = argv
    const log = createWriteStream(join(this.folder, `${name}.log`))
    const stdio: ['ignore', 'pipe', 'pipe'] = ['ignore', 'pipe', 'pipe']
    const child = spawn(file, rest, { stdio, env: { ...process.env, ...env } })
    let said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream?.pipe(log, { end: false })
      stream?.on('data', (text) => {
        said = (said + text).slice(-4_096)
      })
    }
    child.once('close', (code, signal) => {
      this.died ??= `${name} ended (${signal ?? code})${lastLines(said)}`
    })
    child.once('error', (error) => {
      this.died ??= `${name} did not start: ${error.message}`
    })
    this.children.push(child)
  }

  private async untilReady(member: Member): Promise<void> {
    await until(`the sidecar of ${member.name} to be ready`, () => {
      this.mustLive()
      return this.ground.ready(member)
    })
  }

  private async untilServing(): Promise<void> {
    await until('the page to answer', async () => {
      this.mustLive()
      return (await ask(this.ground.pageUrl)).status === 200
    })
  }

  /** Throws when one of the programs has ended. */
  mustLive(): void {
    if (this.died !== undefined) throw new StartFailure(this.died)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.died ??= 'the mesh was ended'
    for (const child of this.children) child.removeAllListeners('close')
    const ends = this.children
      .filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
      .map(
        (child) =>
          new Promise<void>((done) => {
            child.once('exit', () => done())
            child.kill('SIGTERM')
            setTimeout(() => child.kill('SIGKILL'), 3_000).unref()
          }),
      )
    await Promise.all(ends)
    await this.ground[Symbol.asyncDispose]()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** A temporary folder that sidecars running as another user can read. */
export function openFolder(prefix: string): string {
  const folder = mkdtempSync(join(tmpdir(), prefix))
  chmodSync(folder, 0o755)
  return folder
}

export async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 40_000
  while (!(await holds().catch(rethrowUnlessNetwork))) {
    if (Date.now() > deadline) throw new StartFailure(`waited 40 s for ${what}`)
    await new Promise((done) => setTimeout(done, 50))
  }
}

/** The log goes away with the mesh: a message brings its end along. */
function lastLines(log: string): string {
  const lines = log.trimEnd().split('\n')
  return log === '' ? '' : `, saying last:\n${lines.slice(-5).join('\n')}`
}

function rethrowUnlessNetwork(error: NodeJS.ErrnoException): boolean {
  if (error.code === undefined) throw error
  return false
}

export interface Answer {
  readonly status: number
  readonly body: string
}

/** One request on a connection of its own; status 0 and the reason when the connection fails. */
export function ask(url: string, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((done) => {
    const fail = (error: Error) => done({ status: 0, body: error.message })
    const outgoing = request(url, { headers, timeout: 10_000 }, (incoming) => {
      const chunks: Buffer[] = []
      incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
      incoming.on('error', fail)
      incoming.on('end', () =>
        done({ status: incoming.statusCode ?? 0, body: Buffer.concat(chunks).toString() }),
      )
    })
    outgoing.on('error', fail)
    outgoing.on('timeout', () => outgoing.destroy(new Error('no answer within 10 s')))
    outgoing.end()
  })
}
