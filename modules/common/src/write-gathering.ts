/** What a socket offers for it. */
export interface Corkable {
  cork(): void;
  uncork(): void;
}

/**
 * What is written to a socket in one turn of the event loop goes out in one system call (and one TLS record): for small
 * packets that call costs more than all the rest. Nothing waits for more to come: the turn's end sends it.
 */
export function createWriteGathering(): (stream: Corkable) => void {
  let isGathering = false;
  return (stream) => {
    if (isGathering) return;
    isGathering = true;
    stream.cork();
    setImmediate(() => {
      isGathering = false;
      stream.uncork();
    });
  };
}
