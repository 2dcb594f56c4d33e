// The two calls of fs-native-extensions that the store uses; the package ships no types of its own.
declare module 'fs-native-extensions' {
  /** Takes the kernel's exclusive lock on an open file; false where another open file holds it. */
  export function tryLock(fd: number): boolean
  export function unlock(fd: number): void
}
