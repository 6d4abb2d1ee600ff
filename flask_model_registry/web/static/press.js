// @ts-check
/** Buttons that are pressed: if one moves before it is released, the click misses it. */

const MAX_WAIT = 2000; // milliseconds; not all browsers report a button's release

/**
 * Wait until a pressed button is released and clicked.
 *
 * @returns {Promise<void>}
 */
export const buttonReleased = () =>
  new Promise((/** @type {any} */ resolve) => {
    const signal = AbortSignal.timeout(MAX_WAIT);
    signal.onabort = resolve;
    for (const name of ["pointerup", "pointercancel"]) {
      addEventListener(name, () => setTimeout(resolve), { signal, capture: true });
    }
  });
