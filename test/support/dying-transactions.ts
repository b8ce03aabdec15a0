/** A transaction that ends its thread, which no error of a query can do: for `dead-thread.test.ts`. */
async function endThread(): Promise<void> {
  process.exit(1)
}

async function nothing(): Promise<void> {}

export const modules = { dying: { endThread, nothing } }
