import t from 'tap'
import { Random } from '../../proxy/base/random.ts'
import { FilterChain, type FilterHost, Filtering } from '../../proxy/filters/chain.ts'
import { Answered, Continue, type Filter, type FilterContext } from '../../proxy/filters/filter.ts'
import { regexWork } from '../../proxy/filters/regex.ts'
import { ResponseHead } from '../../proxy/http/head.ts'

/** What happens, in order. */
class Story {
  readonly told: string[] = []
  /** Contexts of filters that wait. */
  readonly waiting: FilterContext[] = []

  passing(name: string): Filter {
    return {
      onRequest: () => {
        this.told.push(name)
        return Continue
      },
      onReply: () => void this.told.push(`reply ${name}`),
    }
  }

  waits(name: string): Filter {
    return {
      onRequest: (context) => {
        this.told.push(name)
        this.waiting.push(context)
        return context.waitFor({ cancel: () => void this.told.push(`cancel ${name}`) })
      },
    }
  }

  answers(name: string): Filter {
    return {
      onRequest: (context) => {
        context.answer(new ResponseHead(418), Buffer.from(name), 'made_here')
        return Answered
      },
    }
  }

  filtering(...filters: Filter[]): Filtering {
    const host = {
      stream: {},
      record: {},
      scope: { tellOrigin: true, services: { wheel: {}, random: new Random(1) } },
      answer: (head: ResponseHead, body: Buffer, details: string) =>
        void this.told.push(`${head.status} ${body} ${details}`),
      onFiltered: () => void this.told.push('filtered'),
    } as unknown as FilterHost
    return new Filtering(FilterChain.of(filters)!, host)
  }
}

t.test('requests pass the filters in order, replies in reverse', async (t) => {
  const story = new Story()
  const filtering = story.filtering(story.passing('a'), story.passing('b'))
  t.equal(filtering.run(), true)
  filtering.editReply(new ResponseHead(200))
  t.same(story.told, ['a', 'b', 'reply b', 'reply a'])
})

t.test('an answer ends the way, and the rest is not asked', async (t) => {
  const story = new Story()
  const filtering = story.filtering(story.passing('a'), story.answers('no'), story.passing('b'))
  t.equal(filtering.run(), false)
  t.same(story.told, ['a', '418 no made_here'])
})

t.test(
  'a filter that waits goes on where it stood, and the exchange is told when all are through',
  async (t) => {
    const story = new Story()
    const filtering = story.filtering(story.waits('a'), story.passing('b'), story.waits('c'))
    t.equal(filtering.run(), false)
    t.same(story.told, ['a'])
    story.waiting[0]!.proceed()
    t.same(story.told, ['a', 'b', 'c'])
    story.waiting[1]!.proceed()
    t.same(story.told, ['a', 'b', 'c', 'filtered'])
    filtering.cancel()
    t.same(story.told.at(-1), 'filtered', 'nothing waits any more')
  },
)

t.test('what other requests spent on expressions meanwhile does not count', async (t) => {
  const story = new Story()
  const seen: string[] = []
  const asks: Filter = {
    onRequest: () => {
      seen.push(regexWork.gaveUp)
      return Continue
    },
  }
  story.filtering(story.waits('a'), asks).run()
  regexWork.gaveUp = 'the expression of another request'
  story.waiting[0]!.proceed()
  t.same(seen, [''])
})

t.test('what waits is cancelled with the exchange, once', async (t) => {
  const story = new Story()
  const filtering = story.filtering(story.waits('a'))
  filtering.run()
  filtering.cancel()
  filtering.cancel()
  t.same(story.told, ['a', 'cancel a'])
})

t.test('no filters make no chain', async (t) => {
  t.equal(FilterChain.of([]), undefined)
  t.equal(FilterChain.of([undefined, undefined]), undefined)
  t.equal(FilterChain.of([undefined, new Story().passing('a')])?.filters.length, 1)
})
