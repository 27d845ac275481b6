/** Does something while Node's warnings of one name go unsaid. For what a library does that nobody who reads them can change. */
export async function withoutWarning<T>(name: string, work: () => Promise<T>): Promise<T> {
  const emit = process.emitWarning.bind(process);
  const replace = (to: (...said: readonly unknown[]) => void): void => {
    Object.defineProperty(process, 'emitWarning', { value: to, configurable: true, writable: true });
  };
  replace((...said) => {
    if (said[1] !== name) Reflect.apply(emit, process, said);
  });
  try {
    return await work();
  } finally {
    replace((...said) => void Reflect.apply(emit, process, said));
  }
}
