import type { ModuleLog } from '../agent/module-log.ts';

const headerBytes = 8;

/**
 * Takes the engine's log stream of a container without a terminal apart and writes it to the module's log. Each frame has a header: stream
 * (1 stdout, 2 stderr), three zero bytes, length (big-endian, 4 bytes). Returns when the stream has ended.
 */
export async function writeFrames(stream: AsyncIterable<Buffer>, log: ModuleLog): Promise<void> {
  const decoders = { stdout: new TextDecoder(), stderr: new TextDecoder() };
  let header: Buffer = Buffer.alloc(0);
  let left = 0;
  for await (const chunk of stream) {
    let at = 0;
    while (at < chunk.length) {
      if (left === 0) {
        const part = chunk.subarray(at, at + headerBytes - header.length);
        header = Buffer.concat([header, part]);
        at += part.length;
        if (header.length < headerBytes) break;
        left = header.readUInt32BE(4);
        if (left === 0) header = Buffer.alloc(0);
        continue;
      }
      const part = chunk.subarray(at, at + left);
      const name = header[0] === 2 ? 'stderr' : 'stdout';
      log.write(name, decoders[name].decode(part, { stream: true }));
      at += part.length;
      left -= part.length;
      if (left === 0) header = Buffer.alloc(0);
    }
  }
  log.flush();
}
