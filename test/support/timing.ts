/**
 * Tells whether two kinds of work can be told apart by how long they take. Everything is done in turns and compared by
 * rank, so that a busy machine, which slows both kinds, neither makes a difference nor hides one.
 */

/** Prepares one piece of work; what it returns is timed. */
export type Prepare = (round: number) => Promise<() => Promise<unknown>>

export interface Times {
  readonly first: readonly number[]
  readonly second: readonly number[]
}

/** Does both kinds of work `rounds` times, in an order that changes from round to round. Times are milliseconds. */
export async function timesOf(rounds: number, first: Prepare, second: Prepare): Promise<Times> {
  const times = { first: [] as number[], second: [] as number[] }
  const time = async (prepare: Prepare, round: number, into: number[]) => {
    const work = await prepare(round)
    const startMs = performance.now()
    await work()
    into.push(performance.now() - startMs)
  }
  for (let round = 0; round < rounds; round++) {
    if (Math.random() < 0.5) {
      await time(first, round, times.first)
      await time(second, round, times.second)
    } else {
      await time(second, round, times.second)
      await time(first, round, times.first)
    }
  }
  return times
}

/**
 * From -1 to 1: 0 when neither kind takes longer, 1 when every piece of the first kind took longer than every piece of the
 * second. By chance it strays from 0 by about 0.6 divided by the square root of the number of rounds, seldom by thrice that.
 */
export function separationOf({ first, second }: Times): number {
  let balance = 0
  for (const a of first) for (const b of second) balance += Math.sign(a - b)
  return balance / (first.length * second.length)
}
