/** A call, so that the compiler does not take the answer for settled across an await. */
export function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
