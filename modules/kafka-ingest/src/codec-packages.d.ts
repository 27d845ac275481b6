declare module 'snappyjs' {
  export function uncompress(data: Buffer): Buffer;
}
