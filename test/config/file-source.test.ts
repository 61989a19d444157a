import {
  chmod,
  mkdir,
  mkdtemp,
  rename,
  rm,
  symlink,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { FileSource, type FileSourceOptions, type SourceClock } from '../../config/file-source.ts'
import { readFolder } from '../../config/load.ts'

/** The source itself keeps no process alive. */
const alive = setInterval(() => {}, 60_000)
t.teardown(() => clearInterval(alive))

/** A clock that stands still until it is moved. */
class FakeClock implements SourceClock {
  private time = 1_000_000_000_000
  private waiting: Array<{ readonly at: number; readonly run: () => void }> = []
  private wanted: { readonly fits: (ms: number) => boolean; readonly done: () => void } | undefined

  now(): number {
    return this.time
  }

  after(ms: number, run: () => void): () => void {
    const entry = { at: this.time + ms, run }
    this.waiting.push(entry)
    if (this.wanted?.fits(ms)) this.wanted.done()
    return () => {
      this.waiting = this.waiting.filter((other) => other !== entry)
    }
  }

  /** Until something waits for at least `ms`. */
  armed(ms: number): Promise<void> {
    return this.until((left) => left >= ms)
  }

  /** Until something waits for `ms`, no longer. */
  armedExactly(ms: number): Promise<void> {
    return this.until((left) => left === ms)
  }

  private until(fits: (ms: number) => boolean): Promise<void> {
    if (this.waiting.some(({ at }) => fits(at - this.time))) return Promise.resolve()
    return new Promise((done) => {
      this.wanted = { fits, done }
    })
  }

  advance(ms: number): void {
    this.time += ms
    const due = this.waiting.filter(({ at }) => at <= this.time)
    this.waiting = this.waiting.filter(({ at }) => at > this.time)
    for (const { run } of due) run()
  }
}

async function folder(t: Test, files: Record<string, string> = {}): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'outrider-source-'))
  t.teardown(() => rm(path, { recursive: true, force: true }))
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text)
  return path
}

/** A watched source whose changes can be awaited one by one. */
class Watched {
  readonly source: FileSource
  changes = 0
  private waiting: (() => void) | undefined
  private seen = 0

  constructor(source: FileSource) {
    this.source = source
  }

  onChange = (): void => {
    this.changes++
    this.waiting?.()
  }

  /** Text of all files after the next change. */
  async next(): Promise<string> {
    while (this.changes === this.seen)
      await new Promise<void>((done) => {
        this.waiting = done
      })
    this.seen = this.changes
    return this.text()
  }

  async text(): Promise<string> {
    const { files } = await this.source.read()
    return files.map(({ text }) => text).join('|')
  }

  /** Changes until the text is as expected: events of one step may come in several batches. */
  async until(expected: string): Promise<void> {
    while ((await this.next()) !== expected);
  }
}

async function watched(
  t: Test,
  paths: string[],
  options: FileSourceOptions = {},
): Promise<Watched> {
  const pollMs = 3_600_000
  const one = new Watched(new FileSource(paths, { debounceMs: 5, pollMs, ...options }))
  await one.source.read()
  const watching = one.source.watch(one.onChange)
  t.teardown(() => watching.close())
  return one
}

t.test('reads what readFolder() reads, in the same order', async (t) => {
  const path = await folder(t, { 'b.yaml': 'b', 'a.yml': 'a', 'c.json': '{}', 'd.txt': 'no' })
  await mkdir(join(path, 'sub'))
  await writeFile(join(path, 'sub', 'e.yaml'), 'e')
  await writeFile(join(path, '.hidden.yaml'), 'h')
  await symlink(path, join(path, 'sub', 'loop'))
  await symlink(join(path, 'a.yml'), join(path, 'z.yaml'))
  await symlink(join(path, 'nothing'), join(path, 'dangling.yaml'))
  const { files, unreadable } = await new FileSource([path]).read()
  t.same(files, readFolder(path))
  t.same(
    files.map(({ text }) => text),
    ['a', 'b', '{}', 'e'],
  )
  t.same(unreadable, [])
})

t.test('reads several folders and single files in the order given', async (t) => {
  const one = await folder(t, { 'a.yaml': '1' })
  const two = await folder(t, { 'a.yaml': '2', 'b.yaml': '3' })
  t.equal(await new Watched(new FileSource([two, one])).text(), '2|3|1')
  t.equal(await new Watched(new FileSource([join(two, 'b.yaml'), one])).text(), '3|1')
})

t.test('an unchanged file is the same object in the next reading', async (t) => {
  const path = await folder(t, { 'a.yaml': '1', 'b.yaml': '2' })
  const source = new FileSource([path])
  const before = await source.read()
  await writeFile(join(path, 'b.yaml'), '3')
  await utimes(join(path, 'a.yaml'), new Date(), new Date())
  const after = await source.read()
  t.equal(after.files[0], before.files[0])
  t.not(after.files[1], before.files[1])
})

t.test('a change that keeps size and times is found while the file is fresh', async (t) => {
  const path = await folder(t, { 'a.yaml': 'one' })
  const at = new Date()
  await utimes(join(path, 'a.yaml'), at, at)
  const source = new FileSource([path])
  await source.read()
  await writeFile(join(path, 'a.yaml'), 'two')
  await utimes(join(path, 'a.yaml'), at, at)
  t.equal((await source.read()).files[0]?.text, 'two')
})

t.test('a missing folder is told, the others are read', async (t) => {
  const path = await folder(t, { 'a.yaml': '1' })
  const missing = join(path, 'none')
  const { files, unreadable } = await new FileSource([missing, path]).read()
  t.equal(files.length, 1)
  t.same(unreadable, [{ path: missing, reason: 'it does not exist' }])
})

t.test(
  'a file that may not be read is told',
  { skip: process.getuid?.() === 0 && 'root may read everything' },
  async (t) => {
    const path = await folder(t, { 'a.yaml': '1', 'b.yaml': '2' })
    await chmod(join(path, 'a.yaml'), 0)
    const { files, unreadable } = await new FileSource([path]).read()
    t.equal(files.length, 1)
    t.same(unreadable, [{ path: join(path, 'a.yaml'), reason: 'this user may not read it' }])
  },
)

t.test('a symbolic link that leads to itself is told', async (t) => {
  const path = await folder(t)
  await symlink('self.yaml', join(path, 'self.yaml'))
  const { unreadable } = await new FileSource([path]).read()
  t.match(unreadable, [{ reason: 'its symbolic links lead in a circle' }])
})

t.test('by file events', async (t) => {
  t.test('an overwritten file', async (t) => {
    const path = await folder(t, { 'a.yaml': '1' })
    const one = await watched(t, [path])
    await writeFile(join(path, 'a.yaml'), '2')
    await one.until('2')
  })

  t.test("an editor's save by rename", async (t) => {
    const path = await folder(t, { 'a.yaml': '1' })
    const one = await watched(t, [path])
    for (const text of ['2', '3', '4']) {
      await writeFile(join(path, '.a.yaml.swp'), text)
      await rename(join(path, '.a.yaml.swp'), join(path, 'a.yaml'))
      await one.until(text)
    }
  })

  t.test("an editor's save by backup and new file", async (t) => {
    const path = await folder(t, { 'a.yaml': '1' })
    const one = await watched(t, [path])
    await rename(join(path, 'a.yaml'), join(path, 'a.yaml~'))
    await writeFile(join(path, 'a.yaml'), '2')
    await one.until('2')
  })

  t.test("a ConfigMap's swap of its ..data link", async (t) => {
    const path = await folder(t)
    const fill = async (name: string, text: string) => {
      await mkdir(join(path, name))
      await writeFile(join(path, name, 'a.yaml'), text)
      await symlink(name, join(path, '..data_tmp'))
      await rename(join(path, '..data_tmp'), join(path, '..data'))
    }
    await fill('..2026_1', '1')
    await symlink('..data/a.yaml', join(path, 'a.yaml'))
    const one = await watched(t, [path])
    t.equal(await one.text(), '1')
    await fill('..2026_2', '2')
    await rm(join(path, '..2026_1'), { recursive: true })
    await one.until('2')
    await fill('..2026_3', '3')
    await one.until('3')
  })

  t.test('a single file of a ConfigMap given by its path', async (t) => {
    const path = await folder(t)
    await mkdir(join(path, '..1'))
    await writeFile(join(path, '..1', 'a.yaml'), '1')
    await symlink('..1', join(path, '..data'))
    await symlink('..data/a.yaml', join(path, 'a.yaml'))
    const one = await watched(t, [join(path, 'a.yaml')])
    await mkdir(join(path, '..2'))
    await writeFile(join(path, '..2', 'a.yaml'), '2')
    await symlink('..2', join(path, '..tmp'))
    await rename(join(path, '..tmp'), join(path, '..data'))
    await one.until('2')
  })

  t.test('a new folder and what is written into it later', async (t) => {
    const path = await folder(t, { 'a.yaml': '1' })
    const one = await watched(t, [path])
    await mkdir(join(path, 'sub'))
    await writeFile(join(path, 'sub', 'b.yaml'), '2')
    await one.until('1|2')
    await writeFile(join(path, 'sub', 'b.yaml'), '3')
    await one.until('1|3')
    await rm(join(path, 'sub'), { recursive: true })
    await one.until('1')
  })

  t.test('a folder that is removed and made again', async (t) => {
    const around = await folder(t)
    const path = join(around, 'config')
    const make = async (text: string) => {
      await mkdir(path)
      await writeFile(join(path, 'a.yaml'), text)
    }
    await make('1')
    const one = await watched(t, [path])
    await rm(path, { recursive: true })
    await one.until('')
    t.same((await one.source.read()).unreadable, [{ path, reason: 'it does not exist' }])
    await make('2')
    await one.until('2')
    await writeFile(join(path, 'a.yaml'), '3')
    await one.until('3')
  })

  t.test('a folder that is replaced by another one', async (t) => {
    const around = await folder(t)
    const path = join(around, 'config')
    for (const name of ['config', 'next']) {
      await mkdir(join(around, name))
      await writeFile(join(around, name, 'a.yaml'), name)
    }
    const one = await watched(t, [path])
    await rename(path, join(around, 'old'))
    await rename(join(around, 'next'), path)
    await one.until('next')
    await writeFile(join(path, 'a.yaml'), 'later')
    await one.until('later')
  })

  t.test('a deleted file', async (t) => {
    const path = await folder(t, { 'a.yaml': '1', 'b.yaml': '2' })
    const one = await watched(t, [path])
    await unlink(join(path, 'a.yaml'))
    await one.until('2')
  })
})

t.test('by looking, where no events come', async (t) => {
  const clock = new FakeClock()
  const path = await folder(t, { 'a.yaml': '1' })
  const one = await watched(t, [path], { events: false, pollMs: 2_000, clock })
  await clock.armed(2_000)
  await writeFile(join(path, 'a.yaml'), '2')
  t.equal(one.changes, 0, 'nothing is told before it is time to look')
  clock.advance(1_999_000)
  t.equal(await one.next(), '2')
  await clock.armed(2_000)
  clock.advance(1_999_000)
  await clock.armed(2_000)
  t.equal(one.changes, 1, 'a look at unchanged files tells nothing')
})

t.test('a touched file with the same content tells nothing', async (t) => {
  const clock = new FakeClock()
  const path = await folder(t, { 'a.yaml': '1' })
  const one = await watched(t, [path], { events: false, pollMs: 2_000, clock })
  await clock.armed(2_000)
  await utimes(join(path, 'a.yaml'), new Date(1), new Date(1))
  clock.advance(1_999_000)
  await clock.armed(2_000)
  t.equal(one.changes, 0)
})

t.test('a file that an editor has just emptied is not believed until it stays empty', async (t) => {
  const clock = new FakeClock()
  const path = await folder(t, { 'a.yaml': '1' })
  const one = await watched(t, [path], { events: false, debounceMs: 50, pollMs: 2_000, clock })
  const nextLook = async (ms: number) => {
    await clock.armed(ms)
    clock.advance(1_000_000)
  }
  await clock.armed(2_000)
  await writeFile(join(path, 'a.yaml'), '')
  clock.advance(1_000_000)
  await clock.armed(200)
  t.equal(one.changes, 0, 'the first look at the empty file tells nothing')
  await writeFile(join(path, 'a.yaml'), '2')
  await nextLook(200)
  t.equal(await one.next(), '2')
  await clock.armed(2_000)
  await writeFile(join(path, 'a.yaml'), '')
  clock.advance(1_000_000)
  await nextLook(200)
  t.equal(await one.next(), '', 'told when it is still empty')
})

t.test('a change between read() and watch() is told', async (t) => {
  const path = await folder(t, { 'a.yaml': '1' })
  const source = new FileSource([path], { pollMs: 3_600_000, debounceMs: 5 })
  const one = new Watched(source)
  await source.read()
  await writeFile(join(path, 'a.yaml'), '2')
  const watching = source.watch(one.onChange)
  t.teardown(() => watching.close())
  t.equal(await one.next(), '2')
})

t.test('many events in a row are one change', async (t) => {
  const clock = new FakeClock()
  const path = await folder(t, { 'a.yaml': '0' })
  const one = await watched(t, [path], { debounceMs: 50, clock, pollMs: 10_000 })
  await clock.armedExactly(50)
  clock.advance(50)
  await clock.armed(10_000)
  for (let index = 1; index <= 50; index++) await writeFile(join(path, `f${index}.yaml`), '')
  await clock.armedExactly(50)
  clock.advance(50)
  await one.next()
  t.equal(one.changes, 1)
})

t.test('after close() nothing is told', async (t) => {
  const clock = new FakeClock()
  const path = await folder(t, { 'a.yaml': '1' })
  let told = 0
  const source = new FileSource([path], { events: false, pollMs: 2_000, clock })
  await source.read()
  const watching = source.watch(() => told++)
  await clock.armed(2_000)
  watching.close()
  await writeFile(join(path, 'a.yaml'), '2')
  clock.advance(1_000_000)
  await source.read()
  t.equal(told, 0)
})
