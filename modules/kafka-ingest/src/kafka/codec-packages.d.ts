declare module 'snappyjs' {
  export function uncompress(data: Buffer, maxBytes: number): Buffer;
}
